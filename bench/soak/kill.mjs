export const kill = async (options) => ({ failed: 0, options });
