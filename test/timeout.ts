declare const testTimeoutSeconds: number;

jest.setTimeout(testTimeoutSeconds * 1000);
