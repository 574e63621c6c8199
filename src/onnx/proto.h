// ONNX's protobuf messages. Private to this folder.
#pragma once

#include <onnx/onnx_pb.h>
