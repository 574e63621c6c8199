// How fast memory is read that is in no cache.
#pragma once

namespace emulsion {

// The best rate at which so many threads at once read memory of their own, in GB/s, of all
// together. Measured in this process; measured_rates does it in a worker.
double best_stream_gbps(int threads);

}  // namespace emulsion
