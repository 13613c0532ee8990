package plugin

import (
	"encoding/json"

	goplugin "github.com/hashicorp/go-plugin"
)

// ReattachEnv names the variable of a host's environment that holds plugins which
// it did not start and is to attach to: a JSON object of [Attachment], by the
// name of the plugin's instance or of its app. It is what --debug-plugin prints,
// and for development only.
const ReattachEnv = "BATON_HOST_REATTACH"

// Attachment is how a host reaches a plugin that another program started. There is
// no TLS: what keeps others from the plugin is the directory of its socket.
type Attachment struct {
	Protocol        goplugin.Protocol
	ProtocolVersion int
	PID             int     `json:"Pid"`
	Addr            Address `json:"Addr"`
}

// Address is where a plugin listens.
type Address struct {
	Network string
	// Text is the address in the network: the path of a socket.
	Text string `json:"String"`
}

// attachmentOf is what go-plugin reports of a plugin that it serves.
func attachmentOf(reattach *goplugin.ReattachConfig) Attachment {
	return Attachment{
		Protocol:        reattach.Protocol,
		ProtocolVersion: reattach.ProtocolVersion,
		PID:             reattach.Pid,
		Addr:            Address{Network: reattach.Addr.Network(), Text: reattach.Addr.String()},
	}
}

// encodeAttachment is the value of [ReattachEnv] with one plugin.
func encodeAttachment(name string, attachment Attachment) (string, error) {
	encoded, err := json.Marshal(map[string]Attachment{name: attachment})
	return string(encoded), err
}
