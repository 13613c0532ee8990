package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHandshake_CarriesTheCertificate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"as go-plugin writes it":   {"1|1|unix|/tmp/p|grpc|\n", "1|1|unix|/tmp/p|grpc|CERT\n"},
		"with what it may add":     {"1|1|unix|/tmp/p|grpc||true\n", "1|1|unix|/tmp/p|grpc|CERT|true\n"},
		"what is no such line":     {"panic\n", "panic\n"},
		"before certificates were": {"1|1|unix|/tmp/p|grpc\n", "1|1|unix|/tmp/p|grpc\n"},
	} {
		require.Equal(t, c.want, withCertificate(c.line, "CERT"), name)
	}
}
