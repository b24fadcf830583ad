// Attacks: searches for small perturbations that change a prediction, under foolbox's names.
export { Attack, type Best, type Search } from "./attack.js";
export type { DeepFoolOptions } from "./borders.js";
export { L2CarliniWagnerAttack, type L2CarliniWagnerOptions } from "./carlini-wagner.js";
export type { Criterion } from "./criterion.js";
export { DDNAttack, type DDNOptions } from "./ddn.js";
export { L2DeepFoolAttack, LinfDeepFoolAttack } from "./deepfool.js";
export {
  type FMNOptions,
  L0FMNAttack,
  L1FMNAttack,
  L2FMNAttack,
  LinfFMNAttack,
} from "./fast-minimum-norm.js";
export { L0, L1, L2, Linf, type Norm } from "./norm.js";
export type { AttackOptions, AttackResult, Bounds } from "./space.js";
export { SuperDeepFoolAttack, type SuperDeepFoolOptions } from "./super-deepfool.js";
