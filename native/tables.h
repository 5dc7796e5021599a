// The kernel tables in this binary. native/isa.cc is compiled once for each instruction set. At run time, checks find
// the instruction sets that this machine has.
#pragma once

#include "call.h"

namespace foretoken {

constexpr int kMaxTables = 5;

// Fills `tables` with the tables that the CPU and the operating system support, best first. Returns their number.
int usableTables(const KernelTable* tables[kMaxTables]);

// Fills `missing` with the names of supported sets that are not in this binary, best first. Returns their number.
int missingTables(const char* missing[kMaxTables]);

// Whether one vdpbf16ps is faster than two float32 multiply-adds with the same work. One vdpbf16ps takes half the time
// on an AMD EPYC (Zen 5), and twice the time on an Intel Xeon (Sapphire Rapids). bench/roofs.cc measured these times.
bool pairsAreFast();

}  // namespace foretoken
