//! The Lipschitz bound of a chain of layers.
use crate::error::{Error, Result};
use crate::rounding::mul_up;

/// An upper bound of the product of `bounds`, the Lipschitz constant of the layers one after another; 1 for no layers.
///
/// Each product is rounded up. `INVALID_ARGUMENT` where a bound is negative, `NON_FINITE` where one is NaN or infinite
/// or the product passes the largest float64.
pub fn compose_upper(bounds: &[f64]) -> Result<f64> {
    let mut product = 1.0;
    for (layer, &bound) in bounds.iter().enumerate() {
        if bound < 0.0 {
            return Err(Error::argument(format!(
                "the bound of layer {layer} is {bound}; a Lipschitz bound is not negative"
            )));
        }
        // A factor of 1 is exact, so a chain of 1-Lipschitz layers stays at 1.
        product = if bound == 1.0 {
            product
        } else if product == 1.0 {
            bound
        } else {
            mul_up(product, bound)
        };
        if !product.is_finite() {
            return Err(Error::non_finite(format!(
                "the bound is {product} after layer {layer}, whose own bound is {bound}; make the layers' bounds finite and smaller"
            )));
        }
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_chain_of_one_lipschitz_layers_is_one_lipschitz() {
        assert_eq!(compose_upper(&[1.0; 20]), Ok(1.0));
        assert_eq!(compose_upper(&[]), Ok(1.0));
    }

    #[test]
    fn the_product_is_above_the_exact_one() {
        // 0.1 is 3602879701896397 / 2^55 in float64, so that the exact square is an integer over 2^110.
        let exact = 3_602_879_701_896_397u128.pow(2);
        let bound = compose_upper(&[0.1; 2]).unwrap();
        assert!((bound * 2f64.powi(110)) as u128 >= exact, "{bound}");
        assert!(bound <= 0.1 * 0.1 * (1.0 + 2.0 * f64::EPSILON));
    }

    #[test]
    fn a_layer_that_ignores_its_input_makes_the_chain_constant() {
        assert_eq!(compose_upper(&[3.0, 0.0, 2.0]), Ok(0.0));
    }

    #[test]
    fn negative_and_non_finite_bounds_are_refused() {
        assert_eq!(compose_upper(&[1.0, -0.5]).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(compose_upper(&[1.0, f64::NAN]).unwrap_err().code, Code::NonFinite);
        assert_eq!(compose_upper(&[1e200, 1e200]).unwrap_err().code, Code::NonFinite);
    }
}
