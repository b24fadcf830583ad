// Attacks: searches for small perturbations that change a prediction, under foolbox's names.
export { Attack, type Best, type Search } from "./attack.js";
export { L2CarliniWagnerAttack, type L2CarliniWagnerOptions } from "./carlini-wagner.js";
export type { Criterion } from "./criterion.js";
export { DDNAttack, type DDNOptions } from "./ddn.js";
export { L0, L1, L2, Linf, type Norm } from "./norm.js";
export type { AttackOptions, AttackResult, Bounds } from "./space.js";
