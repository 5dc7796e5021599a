export const faults = async (options) => ({ failed: 0, options });
