const common = {
  testEnvironment: "node",
  // Types are checked once for everything, by the lint.
  transform: { "^.+\\.ts$": ["ts-jest", { tsconfig: "tsconfig.all.json", transpilation: true }] },
};

const project = (name, folders, seconds, ...setup) => ({
  ...common,
  displayName: name,
  testMatch: [`<rootDir>/test/${folders}/**/*.test.ts`],
  // Jest takes testTimeout only for all projects at once.
  globals: { testTimeoutSeconds: seconds },
  setupFilesAfterEnv: ["<rootDir>/test/timeout.ts", ...setup],
});

module.exports = {
  maxWorkers: 2,
  testSequencer: "<rootDir>/test/longest-first.js",
  projects: [
    project("unit", "{cases,unit}", 60),
    project("lab", "{contract,lab}", 180, "<rootDir>/test/lab/close.ts"),
    project("drills", "drills", 180, "<rootDir>/test/lab/close.ts"),
    // An emulated machine takes its time.
    project("vm", "vm", 900, "<rootDir>/test/lab/close.ts"),
    project("e2e", "e2e", 300),
  ],
};
