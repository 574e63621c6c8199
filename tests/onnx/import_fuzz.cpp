// Feeds the importer mutated files, built with address and undefined-behaviour sanitizers: no input
// may crash it.
//
// usage: import_fuzz SECONDS [SEED]
//
// Starts from ONNX's node tests and exported random networks; mutates messages field by field, and
// bytes. What still imports is printed, exported and, when small, evaluated. A crash leaves the
// file in crash.onnx.
#include <google/protobuf/message.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/op_table.h"
#include "tests/network/random_network.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace emulsion {
namespace {

std::string current_case;

void write_crash() {
  std::ofstream("crash.onnx", std::ios::binary) << current_case;
}

std::vector<std::string> seeds() {
  std::vector<std::string> result;
  const std::filesystem::path data = "/usr/share/libonnx-testdata/data/node";
  std::vector<std::filesystem::path> cases;
  if (std::filesystem::is_directory(data)) {
    for (const auto& entry : std::filesystem::directory_iterator(data))
      cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  for (const auto& path : cases) {
    std::ifstream in(path / "model.onnx", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (import_onnx_bytes(bytes, "seed.onnx").ok()) result.push_back(std::move(bytes));
  }
  for (int seed = 0; seed < 150; ++seed) {
    const auto bytes = export_onnx_bytes(random_network(seed, 3 + seed % 8));
    if (bytes.ok()) result.push_back(*bytes);
  }
  return result;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : stream_(seed, "fuzz") {}

  size_t below(size_t n) { return stream_.below(draw_++, n); }
  bool chance(double p) { return stream_.uniform(draw_++) < p; }

  void mutate_bytes(std::string& bytes) {
    for (size_t n = 1 + below(4); n > 0 && !bytes.empty(); --n) {
      const size_t at = below(bytes.size());
      switch (below(5)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 2:
          bytes.resize(at);
          break;
        case 3:
          bytes.insert(at, below(8) + 1, static_cast<char>(below(256)));
          break;
        case 4:
          bytes.erase(at, below(8) + 1);
          break;
      }
    }
  }

  // One random field of one random message below this one.
  void mutate(google::protobuf::Message& message, int depth = 0) {
    const auto* reflection = message.GetReflection();
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    reflection->ListFields(message, &fields);
    const auto* descriptor = message.GetDescriptor();
    if (fields.empty() || chance(0.05)) {
      fields = {descriptor->field(static_cast<int>(below(descriptor->field_count())))};
    }
    const auto* field = fields[below(fields.size())];
    if (field->cpp_type() == field->CPPTYPE_MESSAGE) {
      mutate_message(message, *field, depth);
    } else if (field->is_repeated()) {
      mutate_list(message, *field);
    } else {
      mutate_scalar(message, *field);
    }
  }

 private:
  void mutate_message(google::protobuf::Message& message,
                      const google::protobuf::FieldDescriptor& field, int depth) {
    const auto* reflection = message.GetReflection();
    if (!field.is_repeated()) {
      if (chance(0.03)) return reflection->ClearField(&message, &field);
      if (depth < 12) mutate(*reflection->MutableMessage(&message, &field), depth + 1);
      return;
    }
    const int count = reflection->FieldSize(message, &field);
    if (count == 0 || chance(0.03)) {
      reflection->AddMessage(&message, &field);
    } else if (chance(0.05)) {
      reflection->RemoveLast(&message, &field);
    } else if (chance(0.05)) {
      const auto& original =
          reflection->GetRepeatedMessage(message, &field, static_cast<int>(below(count)));
      std::unique_ptr<google::protobuf::Message> copy(original.New());
      copy->CopyFrom(original);
      reflection->AddMessage(&message, &field)->CopyFrom(*copy);
    } else if (chance(0.05)) {
      reflection->SwapElements(&message, &field, static_cast<int>(below(count)),
                               static_cast<int>(below(count)));
    } else if (depth < 12) {
      mutate(*reflection->MutableRepeatedMessage(&message, &field, static_cast<int>(below(count))),
             depth + 1);
    }
  }

  void mutate_list(google::protobuf::Message& message,
                   const google::protobuf::FieldDescriptor& field) {
    const auto* reflection = message.GetReflection();
    const int count = reflection->FieldSize(message, &field);
    if (count > 0 && chance(0.2)) return reflection->RemoveLast(&message, &field);
    const bool add = count == 0 || chance(0.2);
    const int at = add ? 0 : static_cast<int>(below(count));
    if (field.cpp_type() == field.CPPTYPE_INT64) {
      add ? reflection->AddInt64(&message, &field, number())
          : reflection->SetRepeatedInt64(&message, &field, at, number());
    } else if (field.cpp_type() == field.CPPTYPE_FLOAT) {
      add ? reflection->AddFloat(&message, &field, real())
          : reflection->SetRepeatedFloat(&message, &field, at, real());
    } else if (field.cpp_type() == field.CPPTYPE_STRING) {
      add ? reflection->AddString(&message, &field, word())
          : reflection->SetRepeatedString(&message, &field, at, word());
    }
  }

  void mutate_scalar(google::protobuf::Message& message,
                     const google::protobuf::FieldDescriptor& field) {
    const auto* reflection = message.GetReflection();
    if (chance(0.05)) return reflection->ClearField(&message, &field);
    switch (field.cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_INT64:
        return reflection->SetInt64(&message, &field, number());
      case google::protobuf::FieldDescriptor::CPPTYPE_INT32:
        return reflection->SetInt32(&message, &field, static_cast<int32_t>(below(24)));
      case google::protobuf::FieldDescriptor::CPPTYPE_FLOAT:
        return reflection->SetFloat(&message, &field, real());
      case google::protobuf::FieldDescriptor::CPPTYPE_ENUM:
        return reflection->SetEnumValue(&message, &field, static_cast<int>(below(15)));
      case google::protobuf::FieldDescriptor::CPPTYPE_STRING: {
        std::string value = reflection->GetString(message, &field);
        if (chance(0.5)) {
          value = word();
        } else {
          mutate_bytes(value);
        }
        return reflection->SetString(&message, &field, value);
      }
      default:
        return;
    }
  }

  int64_t number() {
    constexpr int64_t k_telling[] = {0,
                                     1,
                                     2,
                                     3,
                                     4,
                                     -1,
                                     -2,
                                     7,
                                     8,
                                     13,
                                     16,
                                     22,
                                     255,
                                     32767,
                                     1 << 20,
                                     INT32_MAX,
                                     1u << 31,
                                     INT32_MIN,
                                     INT64_MAX,
                                     INT64_MIN,
                                     int64_t{1} << 40,
                                     int64_t{1} << 62};
    return k_telling[below(std::size(k_telling))];
  }

  float real() {
    constexpr float k_telling[] = {0,
                                   1,
                                   -1,
                                   0.5f,
                                   2,
                                   1e30f,
                                   -1e30f,
                                   1e-40f,
                                   std::numeric_limits<float>::infinity(),
                                   std::numeric_limits<float>::quiet_NaN()};
    return k_telling[below(std::size(k_telling))];
  }

  std::string word() {
    switch (below(4)) {
      case 0:
        return op_table()[below(op_table().size())].name;
      case 1:
        return std::string(1, static_cast<char>('a' + below(26)));
      case 2: {
        const std::string& known = op_table()[below(op_table().size())].attributes;
        const size_t blank = known.find(' ');
        return known.substr(0, blank);
      }
      default:
        return below(2) == 0 ? "" : "x";
    }
  }

  RandomStream stream_;
  uint64_t draw_ = 0;
};

bool small(const Network& network) {
  int64_t work = multiplies(network);
  for (const Layer& layer : network.layers) {
    int64_t elements = element_count(network.shape(layer.output));
    if (const auto* pool = std::get_if<Pool>(&layer.op))
      elements *= int64_t{pool->kernel[0]} * pool->kernel[1];
    for (const ValueId id : layer.inputs) elements += element_count(network.shape(id));
    work += std::min<int64_t>(elements, 1 << 30);
  }
  for (const ValueId id : network.inputs) work += element_count(network.shape(id));
  return work < 100'000;
}

// Returns whether the bytes import.
bool try_import(const std::string& bytes) {
  const auto network = import_onnx_bytes(bytes, "fuzz.onnx");
  if (!network.ok()) {
    EMULSION_CHECK(network.error().message.starts_with("fuzz.onnx: "));
    return false;
  }
  (void)to_text(*network);
  const auto exported = export_onnx_bytes(*network);
  if (exported.ok()) EMULSION_CHECK(import_onnx_bytes(*exported, "fuzz.onnx").ok());
  if (small(*network)) EMULSION_CHECK(evaluate(*network, random_inputs(*network, 1)).ok());
  // Another batch than the file's.
  ImportOptions options;
  for (const ValueId id : network->inputs) {
    Shape shape = network->shape(id);
    if (!shape.empty()) shape[0] *= 2;
    options.shapes[network->values[id].name] = shape;
  }
  (void)import_onnx_bytes(bytes, "fuzz.onnx", options);
  return true;
}

int run(double seconds, uint64_t seed) {
  __sanitizer_set_death_callback(write_crash);
  const std::vector<std::string> originals = seeds();
  Mutator mutator(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int64_t count = 0, imported = 0;
  while (std::chrono::steady_clock::now() < end) {
    current_case = originals[mutator.below(originals.size())];
    onnx::ModelProto model;
    if (mutator.chance(0.8) && model.ParseFromString(current_case)) {
      for (size_t n = 1 + mutator.below(6); n > 0; --n) mutator.mutate(model);
      current_case = model.SerializeAsString();
    }
    if (mutator.chance(0.3)) mutator.mutate_bytes(current_case);
    imported += try_import(current_case) ? 1 : 0;
    ++count;
  }
  fmt::print("{} files from {} originals, {} of them still models; seed {}\n", count,
             originals.size(), imported, seed);
  return imported > 0 ? 0 : 1;
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: import_fuzz SECONDS [SEED]\n");
    return 2;
  }
  return emulsion::run(std::atof(argv[1]), argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
}
