package redisx

// shardNode is one server.
type shardNode struct {
	client     *Client
	subscriber *Subscriber // nil while nothing is to be heard there
	state      nodeState
	err        error
}

type nodeState uint8

const (
	nodeUnknown nodeState = iota // its first connection is being made, or there is nothing to be heard
	nodeUp
	nodeDown
)

// close ends what there is of it.
func (n *shardNode) close() {
	n.client.Close()
	if n.subscriber != nil {
		n.subscriber.Close()
	}
}

// node returns the server with that address. It connects to it when that is needed. The caller holds mu.
func (s *Shards) node(address string) *shardNode {
	if n := s.servers[address]; n != nil {
		return n
	}
	n := &shardNode{client: s.seeds[0]}
	if address != "" {
		opts := s.opts
		opts.address = address
		n.client, _ = New(opts) // the options are those of the seeds, which were accepted
	}
	s.servers[address] = n
	return n
}

// hearing returns the subscriber of a server, which begins to connect if it is new. The caller holds mu.
func (s *Shards) hearing(n *shardNode) *Subscriber {
	if n.subscriber != nil {
		return n.subscriber
	}
	n.subscriber = n.client.Subscribe(Hooks{
		State: func(up bool, err error) { s.state(n, up, err) },
		Refused: func(name Name, err error) {
			if isMoved(err) {
				s.lose(n, name.text, false)
			} else {
				s.hooks.Refused(name, err)
			}
		},
		Accepted: s.hooks.Accepted,
		moved:    func(name Name) { s.lose(n, name.text, true) },
	})
	return n.subscriber
}

// lose notes that a server does not have a channel any more. Silenced means that it did before.
func (s *Shards) lose(n *shardNode, channel string, silenced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		if a := l.channels[channel]; a != nil && a.node == n {
			a.lost, a.silenced = true, a.silenced || silenced
		}
	}
	s.kick()
}

// state is told by a server's subscriber.
func (s *Shards) state(n *shardNode, up bool, err error) {
	if !up {
		s.kick() // another one may have taken its place
	}
	s.mu.Lock()
	n.state, n.err = nodeDown, err
	if up {
		n.state = nodeUp
	}
	s.mu.Unlock()
	s.tell()
}

// tell says what is true of all servers together, if that is news.
func (s *Shards) tell() {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	up, cause := true, error(nil)
	for _, n := range s.servers {
		if n.state == nodeDown {
			up, cause = false, n.err
		}
	}
	s.mu.Unlock()
	if up && s.told {
		return // of one more server
	}
	s.told = up
	s.hooks.State(up, cause)
}
