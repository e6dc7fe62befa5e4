package redisx

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/redis/rueidis"
)

// maxNames is how many names one command has at most: Redis confirms each by itself, and what waits to be sent to a
// subscriber has a limit there.
const maxNames = 1000

// connection is the one on which a [Subscriber] receives.
type connection struct {
	rueidis.DedicatedClient
	client *Client
}

// ping makes the connection and returns when Redis answers, whatever it says.
func (c *connection) ping(ctx context.Context) error {
	if err := c.command(ctx, "connect", c.B().Ping().Build()); !isAnswer(err) {
		return err
	}
	return nil
}

// subscribe subscribes to names, as many with one command as it may have. Redis takes a command whole or not at all: of
// one that it refuses, each name is asked for by itself. It returns Redis' answer to those that are refused.
func (c *connection) subscribe(ctx context.Context, names []Name) (refused map[Name]error, err error) {
	err = split(names, func(part []Name) error {
		if part[0].kind == shard { // of several slots, they cannot be in one command
			answers, err := c.subscribeSingly(ctx, part)
			refused = merge(refused, answers)
			return err
		}
		err := c.command(ctx, "subscribe", c.subscribing(part))
		if !isAnswer(err) {
			return err
		}
		answers := map[Name]error{part[0]: err}
		if len(part) > 1 {
			if answers, err = c.subscribeSingly(ctx, part); err != nil {
				return err
			}
		}
		refused = merge(refused, answers)
		return nil
	})
	return refused, err
}

func merge(to, from map[Name]error) map[Name]error {
	if to == nil {
		return from
	}
	maps.Copy(to, from)
	return to
}

// subscribeSingly subscribes to each of names with a command of its own, many with one round trip. It returns Redis'
// answer to those that are refused.
func (c *connection) subscribeSingly(ctx context.Context, names []Name) (refused map[Name]error, err error) {
	err = split(names, func(part []Name) error {
		ctx, cancel := context.WithTimeout(ctx, c.client.timeout)
		defer cancel()
		commands := make(rueidis.Commands, len(part))
		for i := range part {
			commands[i] = c.subscribing(part[i : i+1])
		}
		for i, result := range c.DoMulti(ctx, commands...) {
			err := c.client.explain("subscribe", result.Error())
			if err == nil {
				continue
			}
			if !isAnswer(err) {
				return err
			}
			if refused == nil {
				refused = make(map[Name]error)
			}
			refused[part[i]] = err
		}
		return nil
	})
	return refused, err
}

// unsubscribe ends the subscription to names. A refusal leaves them subscribed: what comes finds no listener.
func (c *connection) unsubscribe(ctx context.Context, names []Name) error {
	return split(names, func(part []Name) error {
		if part[0].kind == shard {
			return c.unsubscribeSingly(ctx, part)
		}
		texts := texts(part)
		command := rueidis.Completed{}
		if part[0].kind == pattern {
			command = c.B().Punsubscribe().Pattern(texts...).Build()
		} else {
			command = c.B().Unsubscribe().Channel(texts...).Build()
		}
		if err := c.command(ctx, "unsubscribe", command); !isAnswer(err) {
			return err
		}
		return nil
	})
}

// unsubscribeSingly does so for shard channels, each with a command of its own.
func (c *connection) unsubscribeSingly(ctx context.Context, names []Name) error {
	ctx, cancel := context.WithTimeout(ctx, c.client.timeout)
	defer cancel()
	commands := make(rueidis.Commands, len(names))
	for i, n := range names {
		commands[i] = c.B().Sunsubscribe().Channel(n.text).Build()
	}
	for _, result := range c.DoMulti(ctx, commands...) {
		if err := c.client.explain("unsubscribe", result.Error()); err != nil && !isAnswer(err) {
			return err
		}
	}
	return nil
}

// subscribing is the command for names, which are all of one kind; of shard channels it is one.
func (c *connection) subscribing(names []Name) rueidis.Completed {
	switch names[0].kind {
	case pattern:
		return c.B().Psubscribe().Pattern(texts(names)...).Build()
	case shard:
		return c.B().Ssubscribe().Channel(names[0].text).Build()
	}
	return c.B().Subscribe().Channel(texts(names)...).Build()
}

func (c *connection) command(ctx context.Context, what string, command rueidis.Completed) error {
	ctx, cancel := context.WithTimeout(ctx, c.client.timeout)
	defer cancel()
	return c.client.explain(what, c.Do(ctx, command).Error())
}

func texts(names []Name) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = n.text
	}
	return list
}

// split calls do with parts of names that are all of one kind, as many as one command or round trip may have.
func split(names []Name, do func(part []Name) error) error {
	var parts [kinds][]Name
	for i, n := range names {
		parts[n.kind] = append(parts[n.kind], n)
		for kind := range parts {
			part := parts[kind]
			if len(part) == 0 || len(part) < maxNames && i < len(names)-1 {
				continue
			}
			parts[kind] = part[:0]
			if err := do(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// isAnswer reports whether err is Redis' answer, after which the connection is as good as before. That it does not know
// who asks is none: nothing at all can be done on such a connection.
func isAnswer(err error) bool {
	var answer *rueidis.RedisError
	if !errors.As(err, &answer) {
		return false
	}
	code, _, _ := strings.Cut(answer.Error(), " ")
	return code != "WRONGPASS" && code != "NOAUTH"
}
