// What an installed package must do: train a tiny network and certify its predictions.
module.exports = async function train(tslip) {
  const count = 64;
  const points = new Float32Array(2 * count);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % 2;
    points[2 * i] = labels[i] === 0 ? -1 : 1;
    points[2 * i + 1] = i / count;
  }
  const model = new tslip.Sequential([
    new tslip.SpectralLinear(2, 8),
    new tslip.GroupSort2(),
    new tslip.SpectralLinear(8, 2, { bias: false }),
  ]);
  const history = await tslip.fit(model, tslip.fromArrays(points, [count, 2], labels), {
    epochs: 20,
    batchSize: 16,
    optimizer: new tslip.Adam({ lr: 0.01 }),
    loss: new tslip.HKRMulticlassLoss({ alpha: 10, minMargin: 0.5 }),
    metrics: { accuracy: tslip.accuracy() },
    seed: 0,
    verbose: false,
  });
  const certificates = await tslip.certify(model.vanillaExport(), tslip.tensor(points, [count, 2]));
  const { accuracy } = history.epochs[history.epochs.length - 1];
  console.log(JSON.stringify({ accuracy, radius: Math.min(...certificates.map(({ radius }) => radius)) }));
};
