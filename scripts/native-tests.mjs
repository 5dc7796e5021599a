/** The parts of the program that tests the kernels without Node: native/test/NAME_test.cc, and what it is linked with. */
export const nativeTests = ["kernels", "elementwise", "layers", "rotary", "products", "attention"];
export const nativeUnits = ["parallel", "heap", "tables"];
