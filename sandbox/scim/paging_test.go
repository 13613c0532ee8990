package scim_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestPaging_ReturnsExactlyTheSeededAccounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ accounts, pageCap, count int }{
		{0, 0, 100},
		{1, 0, 100},
		{20, 1, 1},
		{99, 0, 100},
		{100, 0, 100},
		{101, 0, 100},
		{250, 7, 7},
		{250, 7, 100},
		{250, 100, 30},
		{250, 1000, 1000},
	} {
		t.Run(fmt.Sprintf("%d accounts, page cap %d, asked for %d", c.accounts, c.pageCap, c.count), func(t *testing.T) {
			t.Parallel()
			service := start(t, scim.Options{Accounts: c.accounts, PageCap: c.pageCap, Seed: 7})
			want := service.Accounts()
			require.Len(t, want, c.accounts)
			require.Empty(t, cmp.Diff(want, service.readAll(t, c.count)))
		})
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 25, PageCap: 10})
	for query, want := range map[string]struct{ first, length, startIndex int }{
		"":                         {1, 10, 1},
		"?count=4":                 {1, 4, 1},
		"?count=11":                {1, 10, 1},
		"?count=0":                 {0, 0, 1},
		"?count=-3":                {0, 0, 1},
		"?startIndex=0&count=2":    {1, 2, 1},
		"?startIndex=-9&count=2":   {1, 2, 1},
		"?startIndex=21":           {21, 5, 21},
		"?startIndex=25&count=10":  {25, 1, 25},
		"?startIndex=26":           {0, 0, 26},
		"?startIndex=1000&count=5": {0, 0, 1000},
		"?startIndex=9223372036854775807&count=9223372036854775807": {0, 0, 9223372036854775807},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			page := service.list(t, query)
			require.Equal(t, 25, page.TotalResults)
			require.Equal(t, want.startIndex, page.StartIndex)
			require.NotNil(t, page.Resources, "an empty page is [], not null")
			require.Len(t, page.Resources, want.length)
			for i, raw := range page.Resources {
				require.Equal(t, fmt.Sprintf("u-%06d", want.first+i), account(t, raw).ID)
			}
		})
	}
}

func TestPaging_RefusesAnImpossibleQuery(t *testing.T) {
	t.Parallel()
	service := start(t, scim.Options{Accounts: 3})
	for query, wantType := range map[string]string{
		"?startIndex=one":              "",
		"?count=ten":                   "",
		"?filter=this+is+no+filter":    "invalidFilter",
		"?filter=unheardOf+eq+%22x%22": "invalidFilter",
		"?filter=title+eq":             "invalidFilter",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			got := service.get(t, "/Users"+query)
			require.Equal(t, http.StatusBadRequest, got.status)
			scimType, detail := scimError(t, got)
			require.Equal(t, wantType, scimType)
			require.NotEmpty(t, detail)
		})
	}
}
