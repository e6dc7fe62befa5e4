package gateway

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics returns the handler of /metrics, with a registry of the server's own: two servers in a process do not meet.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&nodeCollector{server: s},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelError)})
}

// nodeCollector reads the Stats of the parts at each scrape; nothing is counted twice.
type nodeCollector struct{ server *Server }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("peal_"+name, help, labels, nil)
}

var (
	connections      = describe("socketio_connections", "Socket.IO connections open now.")
	sockets          = describe("socketio_sockets", "Socket.IO sockets connected now, in all namespaces.")
	connected        = describe("socketio_connected_total", "Socket.IO sockets that connected.")
	recovered        = describe("socketio_recovered_total", "Socket.IO sockets whose clients came back and went on where they were.")
	notRecovered     = describe("socketio_not_recovered_total", "Clients that asked for that in vain, by reason.", "reason")
	unsaved          = describe("socketio_sessions_unsaved_total", "Sessions of absent clients that no other node can take.")
	unsettled        = describe("socketio_sessions_waiting", "Sessions of clients, absent or there, that wait to be kept for other nodes.")
	forgotten        = describe("socketio_forgotten_total", "Sessions of clients that were away which had to go for others.")
	away             = describe("socketio_away", "Clients that are away and may come back, in all namespaces.")
	awayOfOne        = describe("socketio_away_of_one_address", "Of these, those of the address that has the most.")
	refused          = describe("socketio_refused_total", "Socket.IO sockets refused, by reason.", "reason")
	disconnected     = describe("socketio_disconnected_total", "Socket.IO sockets that disconnected, by reason.", "reason")
	socketEvents     = describe("socketio_events_total", "Socket.IO events, by direction.", "direction")
	socketAcks       = describe("socketio_acks_total", "Socket.IO acknowledgements, by direction.", "direction")
	socketErrors     = describe("socketio_errors_total", "What went wrong with Socket.IO connections and events, by kind.", "kind")
	socketPaused     = describe("socketio_paused_total", "Times a connection was not read because its inbox was full.")
	socketDropped    = describe("socketio_dropped_total", "Volatile events dropped for one receiver.")
	engineRefused    = describe("engineio_refused_total", "Requests of Engine.IO clients answered with an error, by reason.", "reason")
	admitted         = describe("connections", "Clients connected now, by Socket.IO and by event streams.")
	admittedPending  = describe("connections_pending", "Of these, Socket.IO clients that have yet to join a namespace.")
	admittedLimit    = describe("connections_limit", "Clients that may be connected.")
	engineRequests   = describe("engineio_requests", "Requests of Engine.IO clients being served now: handshakes, polls that wait, POSTs.")
	engineUpgrades   = describe("engineio_upgrades_total", "Sessions that moved from polling to WebSocket.")
	engineConns      = describe("engineio_websockets", "WebSocket connections open now, by what drives them.", "driver")
	enginePanics     = describe("engineio_panics_total", "Panics under a connection, each of which has closed it.")
	engineUnpolled   = describe("engineio_unpolled_total", "Times a connection or a poller got no descriptor: goroutines read such connections.")
	engineWrites     = describe("engineio_writes_total", "System calls that wrote to WebSocket connections.")
	engineFrames     = describe("engineio_written_total", "Messages these calls took along.")
	streams          = describe("sse_streams", "Event streams open now.")
	streamsOpened    = describe("sse_opened_total", "Event streams opened.")
	streamsRefused   = describe("sse_refused_total", "Requests for a stream that were refused, by reason.", "reason")
	streamsClosed    = describe("sse_closed_total", "Event streams closed, by reason.", "reason")
	streamsResumed   = describe("sse_resumed_total", "Event streams that were given what their clients had missed.")
	streamsReset     = describe("sse_reset_total", "Event streams whose clients were told that something is missing.")
	streamEvents     = describe("sse_delivered_total", "Events written to streams.")
	streamDropped    = describe("sse_dropped_total", "Volatile events dropped for one stream.")
	members          = describe("members", "Sockets and streams in a namespace on this node.", "namespace")
	rooms            = describe("rooms", "Rooms with a member on this node.", "namespace")
	kept             = describe("log_messages", "Messages of a namespace that are kept for clients that come back.", "namespace")
	keptBytes        = describe("log_bytes", "Memory that these take.", "namespace")
	replayed         = describe("log_replayed_total", "Messages given to clients that had missed them.", "namespace")
	recalled         = describe("log_recalled_total", "Clients for which the log that nodes share was read, since this node had not kept what they missed.", "namespace")
	lateReturns      = describe("log_late_total", "Broadcasts that were not back within a second, by the log that nodes share.", "namespace")
	broadcasts       = describe("broadcasts_total", "Messages published on this node.", "namespace")
	deliveries       = describe("deliveries_total", "Messages handed to members of this node.", "namespace")
	envelopes        = describe("cluster_envelopes_total", "Envelopes exchanged with other nodes, by direction.", "namespace", "direction")
	publishErrors    = describe("cluster_publish_errors_total", "Envelopes the cluster did not take, by reason.", "namespace", "reason")
	joinErrors       = describe("cluster_join_errors_total", "Joins of which it is not known that they hear other nodes, by reason.", "namespace", "reason")
	clusterPeers     = describe("cluster_peers", "Other nodes that this one can pass requests on to.")
	clusterRelays    = describe("cluster_relays", "WebSockets open now whose session is on another node, to which they are passed on.")
	clusterForward   = describe("cluster_forwarded_total", "Requests for sessions of other nodes, by outcome.", "outcome")
	clusterReceived  = describe("cluster_received_total", "Requests for sessions of this node that other nodes have passed on.")
	clusterForged    = describe("cluster_forged_total", "Requests refused that said to come from another node and did not.")
	clusterChanges   = describe("cluster_changes_total", "Other nodes that have joined, left or died, by kind.", "kind")
	rebalanced       = describe("cluster_rebalanced_total", "Clients sent away because this node had more than its share.")
	clusterCalls     = describe("cluster_calls_total", "Questions of this node to all others.", "namespace")
	clusterErrors    = describe("cluster_call_errors_total", "Of these, those that failed or were answered in part, by reason.", "namespace", "reason")
	unanswered       = describe("cluster_unanswered_total", "Questions and events of other nodes given up because too many waited, or too large ones.", "namespace")
	overdue          = describe("cluster_overdue_total", "Events of other nodes whose handler took longer than its time.", "namespace")
	brokerUp         = describe("broker_connected", "1 while the connection to the broker (Redis, …) that receives is there.")
	brokerAgain      = describe("broker_reconnects_total", "How often the connection to the broker was made again.")
	brokerReceived   = describe("broker_received_total", "Messages received from the broker.")
	brokerMalformed  = describe("broker_malformed_total", "Messages from the broker ignored because they are not what they should be, by reason.", "reason")
	brokerUnanswered = describe("broker_unanswered_total", "Answers to other nodes not sent because too much waited to be published.")
	brokerLate       = describe("broker_late_answers_total", "Answers of other nodes that came when nobody waited for them any more.")
	brokerWaiting    = describe("broker_waiting", "Messages from the broker that wait to be handled.")
	brokerDropped    = describe("broker_dropped_total", "Messages from the broker dropped because too many waited.")
	brokerGaps       = describe("broker_gaps_total", "Times in which messages of other nodes may not have reached this one, by cause.", "cause")
	brokerLost       = describe("broker_lost_total", "Messages of other nodes that are known not to have reached this one.")
	brokerRefused    = describe("broker_refused", "Channels that the broker does not let this node subscribe to.")
	brokerMixed      = describe("broker_mixed", "Namespaces in which there are nodes of another make, or may be, so that messages go to every node, in the form that those read.")
	requestsRefused  = describe("http_refused_total", "Requests to the HTTP API that were refused, by reason.", "reason")
	eventsRefused    = describe("events_refused_total", "Events of Socket.IO clients (subscribe, unsubscribe, publish) that were refused, by reason.", "reason")
	topicsKept       = describe("topics", "Topics there are.")
	topicReaders     = describe("topic_readers", "Requests that wait for what comes to a topic, by long-polling or as an event stream.")
	topicAppends     = describe("topic_appends_total", "Requests to append to a topic that were taken, by whether they were there before.", "outcome")
	topicItems       = describe("topic_read_total", "Items of topics that were answered with.")
	topicExpired     = describe("topic_expired_total", "Topics deleted because their time was over.")
	topicRefused     = describe("topic_refused_total", "Requests for topics that were refused, by reason.", "reason")
	topicBytes       = describe("topic_store_bytes", "What the topics take on the disk.")
	topicWaiting     = describe("topic_store_waiting", "Appends to topics that wait for the disk.")
	topicFailed      = describe("topic_store_failed", "1 once the store of topics could not write: the node has to be started again.")
	httpRequests     = describe("http_requests", "HTTP requests being served now; polls that wait are among them, WebSockets and event streams are not.")
	draining         = describe("draining", "1 while the node takes no new clients, because it is about to leave.")
)

// Describe sends nothing, which makes the collector unchecked: its series depend on namespaces and reasons.
func (c *nodeCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the counters as they are now.
func (c *nodeCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := c.server
	io := s.io.Stats()
	gauge(connections, io.Connections)
	gauge(sockets, io.Sockets)
	count(connected, io.Connected)
	count(recovered, io.Recovered)
	count(unsaved, io.Unsaved)
	gauge(unsettled, io.Unsettled)
	count(forgotten, io.Forgotten)
	gauge(away, io.Away)
	gauge(awayOfOne, io.AwayOfOne)
	byReason := func(d *prometheus.Desc, counts map[string]uint64) {
		for reason, n := range counts {
			count(d, n, reason)
		}
	}
	byReason(refused, io.Refused)
	byReason(notRecovered, io.LostSessions)
	for reason, n := range io.Disconnected {
		count(disconnected, n, string(reason))
	}
	count(socketEvents, io.EventsIn, "in")
	count(socketEvents, io.EventsOut, "out")
	count(socketAcks, io.AcksIn, "in")
	count(socketAcks, io.AcksOut, "out")
	count(socketErrors, io.ProtocolErrors, "protocol")
	count(socketErrors, io.HandlerErrors, "handler")
	count(socketErrors, io.HandlerPanics, "panic")
	count(socketErrors, io.BadArguments, "bad argument")
	count(socketErrors, io.SlowConsumers, "slow consumer")
	count(socketErrors, io.ConnectFloods, "connect flood")
	count(socketErrors, io.TurnedAway, "shutting down")
	count(socketErrors, io.LateOpenings, "slow OnConnect")
	count(socketPaused, io.Paused)
	count(socketDropped, io.Dropped)
	sockets := io.Engine.WebSockets
	byReason(engineRefused, io.Engine.Refused)
	in := s.admission.Stats()
	gauge(admitted, in.Connections)
	gauge(admittedPending, in.Pending)
	gauge(admittedLimit, s.admission.Limits().Connections)
	gauge(engineRequests, io.Engine.Requests)
	count(engineUpgrades, io.Engine.Upgrades)
	gauge(engineConns, sockets.Polled, "poller")
	gauge(engineConns, sockets.Open-sockets.Polled, "goroutine")
	count(enginePanics, io.Engine.Panics+sockets.Panics)
	count(engineUnpolled, sockets.Unpolled)
	count(engineWrites, sockets.Writes)
	count(engineFrames, sockets.Frames)

	st := s.streams.Stats()
	gauge(streams, st.Streams)
	count(streamsOpened, st.Opened)
	byReason(streamsRefused, st.Refused)
	for reason, n := range st.Closed {
		count(streamsClosed, n, string(reason))
	}
	count(streamsResumed, st.Resumed)
	count(streamsReset, st.Reset)
	count(streamEvents, st.Delivered)
	count(streamDropped, st.Dropped)

	for _, name := range s.cfg.Namespaces {
		a := s.io.Of(name).Adapter()
		counters := a.Stats()
		gauge(members, a.Len(), name)
		gauge(rooms, a.RoomCount(), name)
		log := a.Bounds()
		gauge(kept, log.Count, name)
		gauge(keptBytes, log.Bytes, name)
		count(replayed, counters.Replayed, name)
		count(recalled, counters.Recalled, name)
		count(lateReturns, counters.Late, name)
		count(broadcasts, counters.Broadcasts, name)
		count(deliveries, counters.Deliveries, name)
		count(envelopes, counters.EnvelopesIn, name, "in")
		count(envelopes, counters.EnvelopesOut, name, "out")
		for reason, n := range counters.PublishErrors {
			count(publishErrors, n, name, reason)
		}
		for reason, n := range counters.JoinErrors {
			count(joinErrors, n, name, reason)
		}
		count(clusterCalls, counters.Calls, name)
		for reason, n := range counters.CallErrors {
			count(clusterErrors, n, name, reason)
		}
		count(unanswered, counters.Unanswered, name)
		count(overdue, counters.Overdue, name)
	}
	if s.driver != nil {
		broker := s.driver.Stats()
		gauge(brokerUp, oneIf(broker.Connected))
		count(brokerAgain, broker.Reconnects)
		count(brokerReceived, broker.Received)
		byReason(brokerMalformed, broker.Malformed)
		count(brokerUnanswered, broker.Unanswered)
		count(brokerLate, broker.Late)
		gauge(brokerRefused, broker.Refused)
		gauge(brokerMixed, broker.Mixed)
		gauge(brokerWaiting, broker.Waiting)
		count(brokerDropped, broker.Dropped)
		count(brokerLost, broker.Lost)
		for cause, n := range broker.Gaps {
			count(brokerGaps, n, string(cause))
		}
	}
	if s.cluster != nil {
		st := s.cluster.Stats()
		gauge(clusterPeers, st.Peers)
		gauge(clusterRelays, st.Relays)
		byReason(clusterForward, st.Forwarded)
		count(clusterReceived, st.Received)
		count(clusterForged, st.Forged)
		byReason(clusterChanges, st.Changes)
		count(rebalanced, s.rebalanced.Load())
	}
	s.topics.collect(gauge, count, byReason)
	byReason(requestsRefused, s.refusedRequests.Counts())
	byReason(eventsRefused, s.refusedEvents.Counts())
	gauge(httpRequests, s.requests.serving())
	gauge(draining, oneIf(s.leaving.Load()))
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
