package pluginlog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestRetired_AreBlankedForAnHourAndForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		retired := &Retired{}
		old, current := New(zap.NewNop(), nil), New(zap.NewNop(), nil)
		old.Redact([]string{"first-secret"})
		current.Share(retired)
		current.Redact([]string{"second-secret"})
		require.Equal(t, "first-secret (secret)", current.Blank("first-secret second-secret"))

		retired.Add([]string{"first-secret"})
		require.Equal(t, "(secret) (secret)", current.Blank("first-secret second-secret"))
		require.Equal(t, "(secret)", old.Blank("first-secret"), "the process before goes on blanking it")
		require.Equal(t, "it was (secret)", retired.Blank("it was first-secret"))

		time.Sleep(RetiredFor / 2)
		retired.Add([]string{"second-secret"})
		current.Redact([]string{"third-secret"})
		time.Sleep(RetiredFor/2 - time.Second)
		require.Equal(t, "(secret) (secret) (secret)", current.Blank("first-secret second-secret third-secret"))

		time.Sleep(2 * time.Second)
		current.Forget()
		require.Equal(t, []string{"second-secret"}, retired.Texts())
		require.Equal(t, []string{"second-secret"}, current.retiredThen, "also the writer has forgotten it")
		require.Equal(t, "first-secret (secret)", current.Blank("first-secret second-secret"))
		time.Sleep(RetiredFor)
		synctest.Wait()
		require.Empty(t, retired.Texts())
	})
}
