package redisx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// slotCount is how many slots a Redis Cluster has.
const slotCount = 16384

// slotOf returns the slot of a key or shard channel: CRC16 (XMODEM) of it, or of what is between its first braces.
func slotOf(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if length := strings.IndexByte(key[open+1:], '}'); length > 0 {
			key = key[open+1 : open+1+length]
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slotCount
}

// topology says which server has which slot. It is not changed once it was made.
type topology struct {
	servers []string // addresses; none stands for the one server that there is
	owner   []uint16 // of each slot, an index into servers; unowned for none
}

const unowned = 1<<16 - 1

// addressOf returns the address of the server that a shard channel is on: "" for the only one there is. It reports false
// if none has it.
func (t *topology) addressOf(channel string) (address string, ok bool) {
	if t.servers == nil {
		return "", true
	}
	i := t.owner[slotOf(channel)]
	if i == unowned {
		return "", false
	}
	return t.servers[i], true
}

var errTopology = errors.New("redis: unexpected answer to CLUSTER SLOTS")

// topology asks the server which servers its cluster has, and what they have. An empty one means that it is in no cluster.
func (c *Client) topology(ctx context.Context) (*topology, error) {
	client, err := c.connected()
	if err != nil {
		return nil, err
	}
	ranges, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		var answer *rueidis.RedisError
		if errors.As(err, &answer) && isAlone(answer.Error()) {
			return &topology{}, nil
		}
		return nil, c.explain("ask for the slots of the cluster", err)
	}
	t := &topology{servers: []string{}, owner: make([]uint16, slotCount)}
	for i := range t.owner {
		t.owner[i] = unowned
	}
	index := make(map[string]uint16)
	for _, r := range ranges {
		first, last, address, err := readRange(r)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(address, ":") { // the server does not know how it is reached, but we do
			host, _, err := net.SplitHostPort(c.opt.InitAddress[0])
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errTopology, err)
			}
			address = net.JoinHostPort(host, address[1:])
		}
		if _, known := index[address]; !known {
			index[address] = uint16(len(t.servers))
			t.servers = append(t.servers, address)
		}
		for slot := first; slot <= last; slot++ {
			t.owner[slot] = index[address]
		}
	}
	return t, nil
}

// isAlone reports whether an answer to CLUSTER SLOTS means that there is one server only: that there is no cluster, that it
// does not know of clusters, or does not tell this user.
func isAlone(answer string) bool {
	return strings.Contains(answer, "cluster support disabled") || strings.HasPrefix(answer, "NOPERM") || strings.Contains(answer, "unknown command")
}

// readRange reads [first, last, [host, port, …], …] and returns the address of the master, which begins with a colon if it
// is without a host.
func readRange(r rueidis.RedisMessage) (first, last int64, address string, err error) {
	fields, err := r.ToArray()
	if err != nil || len(fields) < 3 {
		return 0, 0, "", errTopology
	}
	master, err := fields[2].ToArray()
	if err != nil || len(master) < 2 {
		return 0, 0, "", errTopology
	}
	first, err1 := fields[0].AsInt64()
	last, err2 := fields[1].AsInt64()
	port, err3 := master[1].AsInt64()
	if err := errors.Join(err1, err2, err3); err != nil || first < 0 || last >= slotCount {
		return 0, 0, "", errors.Join(errTopology, err)
	}
	host, _ := master[0].ToString() // null, if it is not known
	if host == "" || host == "?" {
		return first, last, ":" + strconv.FormatInt(port, 10), nil
	}
	return first, last, net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// isMoved reports whether err is a server's answer that another one has the slot.
func isMoved(err error) bool {
	var answer *rueidis.RedisError
	if !errors.As(err, &answer) {
		return false
	}
	_, moved := answer.IsMoved()
	return moved
}

// isElsewhere reports whether err is a server's answer that another one has the slot, or has the key and is about to get the
// slot.
func isElsewhere(err error) bool {
	var answer *rueidis.RedisError
	if !errors.As(err, &answer) {
		return false
	}
	_, asking := answer.IsAsk()
	return asking || isMoved(err)
}
