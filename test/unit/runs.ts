/** `npm test` takes the time for everything; `npm run test:unit` is to be quick. */
export const THOROUGH = process.env["TIERWALL_THOROUGH"] === "1";

/** To how many random cases a property is held: all of them, or a tenth where the run is to be quick. */
export function runs(all: number): number {
  return THOROUGH ? all : Math.ceil(all / 10);
}
