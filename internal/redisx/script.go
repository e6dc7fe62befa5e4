package redisx

import (
	"context"

	"github.com/redis/rueidis"
)

// Script is a Lua script that Redis runs in one step. Make it once, with [NewScript]; it is safe for concurrent use.
type Script struct{ lua *rueidis.Lua }

// NewScript returns the script of a text.
func NewScript(text string) *Script { return &Script{rueidis.NewLuaScript(text)} }

// Run runs a script, on the server that has the keys, which are of one slot. It answers with int64, string, nil and []any of these.
// Unless [IsAnswer] says that the error is an answer, the script may have run. Otherwise it is as Publish.
func (c *Client) Run(ctx context.Context, s *Script, keys, args []string) (any, error) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	answer, err := s.lua.Exec(ctx, client, keys, args).ToAny()
	return answer, c.explain("run a script on "+keys[0], err)
}
