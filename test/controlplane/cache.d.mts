export declare const projectRoot: string;
export declare const cacheRoot: string;
export declare function contentKey(parts: readonly string[]): string;
export declare function cached(
  name: string, key: string, make: (temporary: string) => Promise<void> | void,
): Promise<string>;
