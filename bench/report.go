package bench

import (
	"time"

	"github.com/peal-dev/peal/internal/bench/hist"
)

// Report is what a run measured.
type Report struct {
	Scenario  Scenario  `json:"scenario"`
	Transport Transport `json:"transport"`
	Dialect   Dialect   `json:"dialect"`
	Clients   int       `json:"clients"`
	Size      int       `json:"size"` // bytes of a message's data

	Figures   []Figure  `json:"figures"`
	Latencies []Latency `json:"latencies,omitempty"`
	Pairs     []Pair    `json:"pairs,omitempty"` // of scenario Slow, in the order measured
	Delivery  Delivery  `json:"delivery"`
	// Problems say in what the server failed. A run without losses and broken connections has none.
	Problems []string `json:"problems,omitempty"`
}

// Names of figures.
const (
	MemoryPerConnection  = "memory per connection"
	PeakPerConnection    = "memory per connection, just connected"
	IdleCPU              = "idle CPU per connection"
	ConnectRate          = "connections per second"
	ConnectCPU           = "CPU per connection made"
	StepCPU              = "CPU per delivery, one broadcast at a time"
	BurstCPU             = "CPU per delivery, broadcasts back to back"
	StepRate             = "deliveries per second, one broadcast at a time"
	BurstRate            = "deliveries per second, broadcasts back to back"
	RoomCPU              = "CPU per delivery, small rooms"
	PublishCPU           = "CPU per publication to a room"
	EventCPU             = "CPU per event and acknowledgement"
	EventRate            = "events per second"
	GeneratorShare       = "load generator's share of the CPU used"
	SlowFactor           = "p99 of the fast clients, with stalled ones, by that without"
	SlowFactorLowest     = "the same, lowest pair"
	SlowFactorHighest    = "the same, highest pair"
	SlowFactorAll        = "the same, all pairs in one"
	SlowFactorQuiet      = "the same, quietest phase of each kind"
	SlowFactorTail       = "p99.9 in the same way, all pairs in one"
	SlowInterval         = "from a broadcast to the next"
	SlowLoad             = "server's CPU with stalled clients, of one core"
	FastLoad             = "server's CPU without, of one core"
	StalledClients       = "clients that stalled"
	StalledDisconnected  = "stalled clients that the server disconnected"
	StalledReceived      = "messages that such a client found when it read again, median"
	StalledSent          = "messages broadcast while a client stalled"
	MemoryStalled        = "server's memory growth while clients stalled, highest"
	MemoryFast           = "server's memory growth while nobody did, highest"
	PublisherCPU         = "CPU per broadcast on the publishing node"
	latencyStep          = "one broadcast at a time"
	latencyBurst         = "broadcasts back to back"
	latencyRound         = "from a broadcast to its last delivery"
	latencyEcho          = "event to acknowledgement"
	latencyJoin          = "connect to ready"
	latencyRoom          = "publication to delivery"
	latencyFast          = "fast clients, nobody stalled"
	latencyFastWithSlow  = "fast clients beside stalled ones"
	unitKiB              = "KiB"
	unitMiB              = "MiB"
	unitMicroseconds     = "µs"
	unitMicrosecondsPerS = "µs/s"
	unitPerSecond        = "/s"
	unitTimes            = "×"
)

// Figure is one measured value.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Latency is a distribution of times.
type Latency struct {
	Name    string        `json:"name"`
	Count   uint64        `json:"count"`
	Mean    time.Duration `json:"mean_ns"`
	P50     time.Duration `json:"p50_ns"`
	P90     time.Duration `json:"p90_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Max     time.Duration `json:"max_ns"`
	Buckets []Bucket      `json:"buckets,omitempty"` // not for a Pair
}

// Pair is what fast clients had in two phases, one after the other: with stalled clients beside them, and without.
type Pair struct {
	With    Latency `json:"with"`
	Without Latency `json:"without"`
	Factor  float64 `json:"factor"` // p99 with stalled clients by that without
	// Disconnected is how many of the stalled clients the server disconnected.
	Disconnected int `json:"disconnected"`
}

// Bucket counts the times that were not longer than Upper, and longer than the bucket before.
type Bucket struct {
	Upper time.Duration `json:"upper_ns"`
	Count uint64        `json:"count"`
}

// Delivery counts messages by their numbers.
type Delivery struct {
	Expected    uint64 `json:"expected"`
	Received    uint64 `json:"received"` // each counted once
	Lost        uint64 `json:"lost"`
	Duplicated  uint64 `json:"duplicated"`
	Reordered   uint64 `json:"reordered"`
	Misdirected uint64 `json:"misdirected"` // for a room that the client is not in
	Strange     uint64 `json:"strange"`     // of another run, or never sent
}

// Perfect reports whether every message arrived once, in order, where it belongs.
func (d Delivery) Perfect() bool {
	return d.Received == d.Expected && d.Lost+d.Duplicated+d.Reordered+d.Misdirected+d.Strange == 0
}

// Figure returns the value of a figure by its name.
func (r *Report) Figure(name string) (value float64, ok bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

// Latency returns a distribution by its name, or nil.
func (r *Report) Latency(name string) *Latency {
	for i := range r.Latencies {
		if r.Latencies[i].Name == name {
			return &r.Latencies[i]
		}
	}
	return nil
}

func (r *Report) add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{name, value, unit})
}

// latencyOf returns a distribution without its buckets.
func latencyOf(name string, h *hist.Histogram) Latency {
	return Latency{Name: name, Count: h.Count(), Mean: h.Mean(), Max: h.Max(),
		P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), P999: h.Quantile(0.999)}
}

func (r *Report) addLatency(name string, h *hist.Histogram) {
	l := latencyOf(name, h)
	for _, b := range h.Buckets() {
		l.Buckets = append(l.Buckets, Bucket(b))
	}
	r.Latencies = append(r.Latencies, l)
}
