const { default: Sequencer } = require("@jest/test-sequencer");

/** What takes minutes. Begun last, one of them would keep one worker busy and leave the others without work. */
const long = [
  /contract\/laws-of-things/,
  /drills\/lock-outs/,
  /drills\/faults/,
  /contract\//,
  /lab\/(transaction|outcome)/,
  /drills\//,
  /lab\/(fragments|incremental|leak-fence|sudo-rule|output-guard|guarded-file|move-addresses)\.test/,
  /vm\/kernel/,
  /e2e\/(tampering|composition|examples|set-up)/,
];

const placeOf = (path) => {
  const place = long.findIndex((form) => form.test(path));
  return place < 0 ? long.length : place;
};

/** Jest remembers only on the machine where it ran how long each took, and goes by the size of files where it has not. */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    return [...tests].sort((a, b) => placeOf(a.path) - placeOf(b.path));
  }
};
