// The text of the generated driver, in the order of the file, with @KEY@ where driver_source fills
// in. Internal to compile/.
#pragma once

namespace emulsion {

extern const char* const k_driver_prelude;
extern const char* const k_driver_weights_inside;
extern const char* const k_driver_memory;
extern const char* const k_driver_weights_copy;
extern const char* const k_driver_pool;  // driver_threads.cpp
extern const char* const k_driver_context;
extern const char* const k_driver_parallel_loop;  // driver_threads.cpp
extern const char* const k_driver_scratch_member;
extern const char* const k_driver_scratch;
extern const char* const k_driver_create;
extern const char* const k_driver_run;
extern const char* const k_driver_metadata;
extern const char* const k_driver_scratch_destroy;

}  // namespace emulsion
