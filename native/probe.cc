// Prints the names of the instruction sets that this machine can run, best first. The build uses it to decide which
// sets to compile.
#include <cstdio>

#include "cpu.h"

int main() {
  const char* names[foretoken::kMaxSets];
  const int count = foretoken::runnableSets(names);
  for (int i = 0; i < count; i++) std::puts(names[i]);
  return 0;
}
