export declare const components: readonly string[];
export declare function controlPlaneDirectory(): string;
export declare function componentPath(name: string): string;
export declare function controlPlaneIsBuilt(): boolean;
export declare function buildControlPlane(): Promise<void>;
