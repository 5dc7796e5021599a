// Prints the names of the instruction sets of this machine, best first. The build decides from this list which
// instruction sets to compile.
#include <cstdio>

#include "cpu.h"

int main() {
  const char* names[foretoken::kMaxSets];
  const int count = foretoken::runnableSets(names);
  for (int i = 0; i < count; i++) std::puts(names[i]);
  return 0;
}
