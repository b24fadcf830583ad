//! Ops that compute each element of the result from one element of each operand, with NumPy broadcasting.
pub mod abs;
pub mod add;
pub mod and;
pub mod atanh;
pub mod bias_correction;
pub mod binary;
pub mod cast;
pub mod compare;
pub mod div;
pub mod equal;
pub mod exp;
pub mod floor;
pub mod is_finite;
pub mod less;
pub mod less_equal;
pub mod log;
pub mod logic;
pub(crate) mod loops;
pub(crate) mod math;
pub mod maximum;
pub mod minimum;
pub mod mul;
pub mod neg;
pub mod not;
pub mod or;
pub mod pow;
pub mod reciprocal;
pub mod relu;
pub mod select;
pub mod sigmoid;
pub mod sign;
pub mod sqrt;
pub mod square;
pub mod stop_gradient;
pub mod sub;
pub mod tanh;
pub mod unary;

use tslip_graph::Registry;

use crate::support::parse;
use binary::Binary;
use compare::Compare;
use logic::Connective;
use unary::Unary;

/// WGSL of quotients and roots, for every kernel that has some, and of exp and its kin, which needs the former. The self-test
/// of `crates/gpu` measures these texts.
pub(crate) const EXACT: &str = include_str!("exact.wgsl");
pub(crate) const MATH: &str = include_str!("math.wgsl");

/// Adds the ops of this folder.
pub fn register(ops: &mut Registry) {
    ops.insert("abs", Unary::<abs::Abs>::make);
    ops.insert("atanh", Unary::<atanh::Atanh>::make);
    ops.insert("exp", Unary::<exp::Exp>::make);
    ops.insert("floor", Unary::<floor::Floor>::make);
    ops.insert("log", Unary::<log::Log>::make);
    ops.insert("neg", Unary::<neg::Neg>::make);
    ops.insert("reciprocal", Unary::<reciprocal::Reciprocal>::make);
    ops.insert("relu", Unary::<relu::Relu>::make);
    ops.insert("sigmoid", Unary::<sigmoid::Sigmoid>::make);
    ops.insert("sign", Unary::<sign::Sign>::make);
    ops.insert("sqrt", Unary::<sqrt::Sqrt>::make);
    ops.insert("square", Unary::<square::Square>::make);
    ops.insert("tanh", Unary::<tanh::Tanh>::make);
    ops.insert("add", Binary::<add::Add>::make);
    ops.insert("div", Binary::<div::Div>::make);
    ops.insert("maximum", Binary::<maximum::Maximum>::make);
    ops.insert("minimum", Binary::<minimum::Minimum>::make);
    ops.insert("mul", Binary::<mul::Mul>::make);
    ops.insert("pow", Binary::<pow::Pow>::make);
    ops.insert("sub", Binary::<sub::Sub>::make);
    ops.insert("equal", Compare::<equal::Equal>::make);
    ops.insert("less", Compare::<less::Less>::make);
    ops.insert("less_equal", Compare::<less_equal::LessEqual>::make);
    ops.insert("and", Connective::<and::And>::make);
    ops.insert("or", Connective::<or::Or>::make);
    ops.insert("bias_correction", parse::<bias_correction::BiasCorrection>);
    ops.insert("cast", parse::<cast::Cast>);
    ops.insert("is_finite", parse::<is_finite::IsFinite>);
    ops.insert("not", parse::<not::Not>);
    ops.insert("stop_gradient", parse::<stop_gradient::StopGradient>);
    ops.insert("where", parse::<select::Where>);
}

/// Cases of the ops of this folder.
#[cfg(test)]
pub(crate) fn cases() -> Vec<crate::testing::case::Case> {
    [
        abs::cases(),
        add::cases(),
        and::cases(),
        atanh::cases(),
        bias_correction::cases(),
        cast::cases(),
        div::cases(),
        equal::cases(),
        exp::cases(),
        floor::cases(),
        is_finite::cases(),
        less::cases(),
        less_equal::cases(),
        log::cases(),
        maximum::cases(),
        minimum::cases(),
        mul::cases(),
        neg::cases(),
        not::cases(),
        or::cases(),
        pow::cases(),
        reciprocal::cases(),
        relu::cases(),
        select::cases(),
        sigmoid::cases(),
        sign::cases(),
        sqrt::cases(),
        square::cases(),
        stop_gradient::cases(),
        sub::cases(),
        tanh::cases(),
    ]
    .concat()
}
