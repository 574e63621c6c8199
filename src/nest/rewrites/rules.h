// What each row of the table of rewrites makes of a conv: one file each in this folder.
#pragma once

#include "nest/rewrite_table.h"

namespace emulsion {

// group.cpp
Result<Replacement> make_group(const RewriteSite& site, const Step& step);
std::vector<std::string> group_instances(const Nest& nest);
Result<Replacement> make_depthwise(const RewriteSite& site, const Step& step);
std::vector<std::string> depthwise_instances(const Nest& nest);
// separable.cpp
Result<Replacement> make_separable(const RewriteSite& site, const Step& step);
std::vector<std::string> separable_instances(const Nest& nest);
// bottleneck.cpp
Result<Replacement> make_bottleneck(const RewriteSite& site, const Step& step);
std::vector<std::string> bottleneck_instances(const Nest& nest);
// tiled_bottleneck.cpp
Result<Replacement> make_tiled_bottleneck(const RewriteSite& site, const Step& step);
std::vector<std::string> tiled_bottleneck_instances(const Nest& nest);
Result<Replacement> make_zeros_bottleneck(const RewriteSite& site, const Step& step);
// propagated_bottleneck.cpp
Result<Replacement> make_propagated_bottleneck(const RewriteSite& site, const Step& step);
std::vector<std::string> propagated_bottleneck_instances(const Nest& nest);
// input_bottleneck.cpp
Result<Replacement> make_input_bottleneck(const RewriteSite& site, const Step& step);
std::vector<std::string> input_bottleneck_instances(const Nest& nest);
// spatial_bottleneck.cpp
Result<Replacement> make_spatial_bottleneck(const RewriteSite& site, const Step& step);
std::vector<std::string> spatial_bottleneck_instances(const Nest& nest);
// split_group.cpp
Result<Replacement> make_split_group(const RewriteSite& site, const Step& step);
std::vector<std::string> split_group_instances(const Nest& nest);
// unroll_group.cpp
Result<Replacement> make_unroll_group(const RewriteSite& site, const Step& step);
std::vector<std::string> unroll_group_instances(const Nest& nest);
// split_rows.cpp
Result<Replacement> make_split_rows(const RewriteSite& site, const Step& step);
std::vector<std::string> split_rows_instances(const Nest& nest);

// Rewrites that are offered only by hand: no instances.
std::vector<std::string> no_instances(const Nest& nest);

}  // namespace emulsion
