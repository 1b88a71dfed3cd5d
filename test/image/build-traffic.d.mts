export declare function buildTraffic(): Promise<string>;
