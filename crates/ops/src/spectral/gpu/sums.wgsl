// Sums over a workgroup.

// Invocations whose values one of them adds.
const TOGETHER: u32 = 16u;

var<workgroup> lanes: array<f32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP / TOGETHER>;

// The sum over all invocations, known to all.
fn summed(local: u32, value: f32) -> f32 {
    lanes[local] = value;
    workgroupBarrier();
    if (local < WORKGROUP / TOGETHER) {
        var sum = 0.0;
        for (var k = 0u; k < TOGETHER; k++) {
            // Neighbours read neighbours.
            sum += lanes[local + k * (WORKGROUP / TOGETHER)];
        }
        sums[local] = sum;
    }
    workgroupBarrier();
    if (local == 0u) {
        var sum = 0.0;
        for (var k = 0u; k < WORKGROUP / TOGETHER; k++) {
            sum += sums[k];
        }
        lanes[0] = sum;
    }
    return workgroupUniformLoad(&lanes[0]);
}
