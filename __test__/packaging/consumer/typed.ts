// Compiled, not run: the types that a user of the package sees, loss by metric included.
import {
  Adam,
  accuracy,
  type Certificate,
  certify,
  type Dataset,
  fit,
  GroupSort2,
  HKRMulticlassLoss,
  Sequential,
  SpectralLinear,
  tensor,
} from "tslip";

export async function train(data: Dataset): Promise<{ accuracy: number; certificates: Certificate[] }> {
  const model = new Sequential([new SpectralLinear(2, 8), new GroupSort2(), new SpectralLinear(8, 2)]);
  const history = await fit(model, data, {
    epochs: 1,
    batchSize: 16,
    optimizer: new Adam({ lr: 0.01 }),
    loss: new HKRMulticlassLoss({ alpha: 10, minMargin: 0.5 }),
    metrics: { accuracy: accuracy() },
  });
  const certificates = await certify(model.vanillaExport(), tensor([0, 1], [1, 2]));
  return { accuracy: history.epochs[0]?.accuracy ?? 0, certificates };
}
