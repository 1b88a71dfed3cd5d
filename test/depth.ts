/** Whether everything is played (`npm run test:full`), or as little as meets every value of each dimension. */
export const FULL = process.env["TIERWALL_FULL"] === "1";
