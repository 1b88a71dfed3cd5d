/** `npm test` takes the time for everything; `npm run test:unit` is to be quick. */
export const THOROUGH = process.env["TIERWALL_THOROUGH"] === "1";

/** Fewer may happen to be of one kind all. */
const LEAST = 5;

/** To how many random cases a property is held: all of them, or a tenth where the run is to be quick. */
export function runs(all: number): number {
  return THOROUGH ? all : Math.max(LEAST, Math.ceil(all / 10));
}
