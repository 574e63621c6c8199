// Classifies an image with a compiled network: app IMAGE, a file of floats in the order C H W.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "net.h"  // emulsion compile model.onnx -o out --name net

int main(int argc, char** argv) {
  std::vector<float> image(net_input_elements), scores(net_output_elements);
  std::FILE* file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
  if (!file || std::fread(image.data(), sizeof(float), image.size(), file) != image.size()) {
    std::fprintf(stderr, "usage: app IMAGE, a file of %d floats\n", net_input_elements);
    return 2;
  }
  net_context* context = net_create(nullptr);
  if (!context || net_run_in(context, image.data(), scores.data()) != 0) {
    std::fprintf(stderr, "%s\n", net_last_error(context));
    return 1;
  }
  std::printf("class %td\n", std::max_element(scores.begin(), scores.end()) - scores.begin());
  net_destroy(context);
}
