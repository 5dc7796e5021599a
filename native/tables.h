// The kernel tables in this binary: native/isa.cc compiled once per instruction set. Which of them this machine can run
// is asked at run time.
#pragma once

#include "call.h"

namespace foretoken {

constexpr int kMaxTables = 5;

// Fills `tables` with those that the CPU and the operating system support, best first, and returns their number.
int usableTables(const KernelTable* tables[kMaxTables]);

}  // namespace foretoken
