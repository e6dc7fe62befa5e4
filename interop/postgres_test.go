//go:build unix

package interop_test

import (
	"testing"

	"github.com/peal-dev/peal/interop/wire"
)

// TestPostgresEmitter has Go nodes hear the official emitter, which the official adapter does not: its messages name no
// namespace.
func TestPostgresEmitter(t *testing.T) {
	t.Parallel()
	pair := startPair(t, wire.ByName("postgres"), startPeer(t, "client.mjs"), goKind, goKind)
	cast := &cast{"Go+Go", pair, &pair.nodes[0], &pair.nodes[1]}
	emitted(cast.stage(t, scenario{name: "the official emitter"}), startPeer(t, "postgres-emitter.mjs", pair.broker.URL()))
}
