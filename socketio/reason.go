package socketio

import "github.com/peal-dev/peal/engineio"

// Reason says why a socket was disconnected. The texts are those of the reference implementation.
type Reason = engineio.Reason

// The reasons of [Namespace.OnDisconnect].
const (
	// ReasonClientDisconnect: the client left the namespace.
	ReasonClientDisconnect Reason = "client namespace disconnect"
	// ReasonServerDisconnect: [Socket.Disconnect] or [Broadcast.Disconnect].
	ReasonServerDisconnect Reason = "server namespace disconnect"
	// ReasonTransportClose: the client closed the connection.
	ReasonTransportClose = engineio.TransportClose
	// ReasonTransportError: the connection broke.
	ReasonTransportError = engineio.TransportError
	// ReasonPingTimeout: the client did not answer a heartbeat in time.
	ReasonPingTimeout = engineio.PingTimeout
	// ReasonForcedClose: the server closed the connection, for instance after a violation of the protocol.
	ReasonForcedClose = engineio.ForcedClose
	// ReasonParseError: the client sent something that is no Engine.IO packet.
	ReasonParseError = engineio.ParseError
	// ReasonServerShutdown: [Server.Shutdown].
	ReasonServerShutdown = engineio.ServerShutdown
	// ReasonMoved: [Server.Shed].
	ReasonMoved = engineio.Moved
)
