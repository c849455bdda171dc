import { closePool } from "../../dist/host/pool";

// Pooled connections would keep jest waiting for hosts that are down.
afterAll(closePool);
