import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

/** The operator's metrics. Names are controller-runtime's where they fit, `tierwall_` where they are ours. */
export class Metrics {
  readonly registry = new Registry();
  readonly reconciles = new Counter({
    name: "controller_runtime_reconcile_total",
    help: "Reconciles by controller and result (success, error, requeue).",
    labelNames: ["controller", "result"],
    registers: [this.registry],
  });
  readonly reconcileSeconds = new Histogram({
    name: "controller_runtime_reconcile_time_seconds",
    help: "Duration of reconciles by controller.",
    labelNames: ["controller"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  readonly requests = new Counter({
    name: "rest_client_requests_total",
    help: "Requests to the API server by method and status code (0: no answer).",
    labelNames: ["method", "code"],
    registers: [this.registry],
  });
  readonly leader = new Gauge({
    name: "leader_election_master_status",
    help: "1 while this replica is the one that writes.",
    registers: [this.registry],
  });
  readonly streamClients = new Gauge({
    name: "tierwall_stream_clients",
    help: "Enforcers that follow this replica.",
    registers: [this.registry],
  });
  readonly streamRefusals = new Counter({
    name: "tierwall_stream_refusals_total",
    help: "Stream requests refused, by HTTP status.",
    labelNames: ["code"],
    registers: [this.registry],
  });
  readonly driftCorrections = new Counter({
    name: "tierwall_drift_corrections_total",
    help: "Generated NetworkPolicies that somebody changed or deleted and that were put back.",
    registers: [this.registry],
  });
  readonly policyReady = new Gauge({
    name: "tierwall_segmentpolicy_ready",
    help: "1 for a SegmentPolicy that is Ready, 0 for one that is not (leader only).",
    labelNames: ["policy"],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
