// The kernel tables in this binary: native/isa.cc compiled once per instruction set. Which of them this machine can run
// is asked at run time.
#pragma once

#include "call.h"

namespace foretoken {

constexpr int kMaxTables = 5;

// Fills `tables` with those that the CPU and the operating system support, best first, and returns their number.
int usableTables(const KernelTable* tables[kMaxTables]);

// Fills `missing` with the names of those that they support and that are not in this binary, best first; their number.
int missingTables(const char* missing[kMaxTables]);

// Whether one vdpbf16ps takes less time than two multiply-adds of float32, which do the same work: a half of it on an AMD EPYC
// (Zen 5), twice as long on an Intel Xeon (Sapphire Rapids), both measured by bench/roofs.cc.
bool pairsAreFast();

}  // namespace foretoken
