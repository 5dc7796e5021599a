// Prints the names of the instruction sets that this machine can run, best first: the build asks which are worth compiling.
#include <cstdio>

#include "cpu.h"

int main() {
  const char* names[foretoken::kMaxSets];
  const int count = foretoken::runnableSets(names);
  for (int i = 0; i < count; i++) std::puts(names[i]);
  return 0;
}
