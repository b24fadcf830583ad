//! Ops that compute each element of the result from one element of each operand, with NumPy broadcasting.
pub mod binary;
pub mod compare;
pub mod logic;
pub(crate) mod loops;
pub(crate) mod math;
pub mod unary;

pub(crate) use tslip_graph::gpu::{EXACT, MATH};

use crate::group::group;
use crate::support::parse;
use binary::Binary;
use compare::Compare;
use logic::Connective;
use unary::Unary;

group! {
    abs: "abs" => Unary::<abs::Abs>::make,
    add: "add" => Binary::<add::Add>::make,
    and: "and" => Connective::<and::And>::make,
    atanh: "atanh" => Unary::<atanh::Atanh>::make,
    bias_correction: "bias_correction" => parse::<bias_correction::BiasCorrection>,
    cast: "cast" => parse::<cast::Cast>,
    div: "div" => Binary::<div::Div>::make,
    equal: "equal" => Compare::<equal::Equal>::make,
    exp: "exp" => Unary::<exp::Exp>::make,
    floor: "floor" => Unary::<floor::Floor>::make,
    is_finite: "is_finite" => parse::<is_finite::IsFinite>,
    less: "less" => Compare::<less::Less>::make,
    less_equal: "less_equal" => Compare::<less_equal::LessEqual>::make,
    log: "log" => Unary::<log::Log>::make,
    maximum: "maximum" => Binary::<maximum::Maximum>::make,
    minimum: "minimum" => Binary::<minimum::Minimum>::make,
    mul: "mul" => Binary::<mul::Mul>::make,
    neg: "neg" => Unary::<neg::Neg>::make,
    not: "not" => parse::<not::Not>,
    or: "or" => Connective::<or::Or>::make,
    pow: "pow" => Binary::<pow::Pow>::make,
    reciprocal: "reciprocal" => Unary::<reciprocal::Reciprocal>::make,
    relu: "relu" => Unary::<relu::Relu>::make,
    select: "where" => parse::<select::Where>,
    sigmoid: "sigmoid" => Unary::<sigmoid::Sigmoid>::make,
    sign: "sign" => Unary::<sign::Sign>::make,
    sqrt: "sqrt" => Unary::<sqrt::Sqrt>::make,
    square: "square" => Unary::<square::Square>::make,
    stop_gradient: "stop_gradient" => parse::<stop_gradient::StopGradient>,
    sub: "sub" => Binary::<sub::Sub>::make,
    tanh: "tanh" => Unary::<tanh::Tanh>::make,
}
