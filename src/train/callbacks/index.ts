// Callbacks that the library has.
export { EarlyStopping, type EarlyStoppingOptions } from "./early-stopping.js";
export { EMA, type EMAOptions } from "./ema.js";
export { CsvLogger, JsonlLogger, type LoggerOptions } from "./loggers.js";
export { LossParameterSchedule, type LossParameterScheduleOptions } from "./loss-parameter.js";
export type { MonitorMode } from "./monitor.js";
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from "./reduce-lr.js";
export {
  type EpochSingularValues,
  type LayerSingularValues,
  MonitorSingularValues,
  type MonitorSingularValuesOptions,
} from "./singular-values.js";
