// Attacks: searches for small perturbations that change a prediction, under foolbox's names.
export { L2CarliniWagnerAttack, type L2CarliniWagnerOptions } from "./carlini-wagner.js";
export type { AttackOptions, AttackResult, Bounds } from "./space.js";
