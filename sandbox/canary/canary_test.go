package canary_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/canary"
)

func TestFind_FindsPlantedSecrets(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{
		"plain":   "canary-7f3a9c51d2e84b60b1c9",
		"special": "c4nary+7f3A/9c51~d2e8.4b60_b1c9==",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, canary.Find([]byte("an error without a secret, https://app.example.com/scim/v2?startIndex=1"), secret))
			for _, planted := range canary.Planted(secret) {
				require.NotEmpty(t, canary.Find([]byte("before "+planted+" after"), secret), planted)
			}
		})
	}
}

// TestFind_FindsEachHalf and nothing that is shorter, wherever it stands.
func TestFind_FindsEachHalf(t *testing.T) {
	t.Parallel()
	const secret = "canary-7f3A9c51D2e84b60b1c9"
	half := len(secret) / 2
	for i := range len(secret) - half + 1 {
		piece := secret[i : i+half]
		require.Equal(t, piece, canary.Find([]byte("#"+strings.ToUpper(piece)+"#"), secret))
		for _, text := range []string{piece, "b1c9 " + piece, piece + " cana"} { // Beside what is too short.
			require.Equal(t, piece, canary.Find([]byte(text), secret))
		}
		require.Empty(t, canary.Find([]byte("\n"+piece[1:]+"\n"), secret))
	}
}

func TestFind_FindsOneOfSeveral(t *testing.T) {
	t.Parallel()
	secrets := []string{"canary-7f3A9c51D2e84b60b1c9", "other+C4/nary~0123456789"}
	for _, secret := range secrets {
		for _, planted := range canary.Planted(secret) {
			require.NotEmpty(t, canary.Find([]byte(strings.Repeat("some text ", 1000)+planted), secrets...), planted)
		}
	}
	require.Empty(t, canary.Find([]byte(strings.Repeat("some text canary-7f3 other+C4/n ", 1000)), secrets...))
	require.Empty(t, canary.Find([]byte(secrets[0])))
}

func BenchmarkFind(b *testing.B) {
	text := []byte(strings.Repeat(`{"level":"info","msg":"a line of a log","plugin":"fullstory"}`+"\n", 1<<14))
	secrets := []string{"canary-7f3A9c51D2e84b60b1c9", "other+C4/nary~0123456789", "x9Zq+third-secret-8812"}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if canary.Find(text, secrets...) != "" {
			b.Fatal("found")
		}
	}
}
