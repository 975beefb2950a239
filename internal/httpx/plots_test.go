package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/a-h/templ"

	"parley/internal/httpx"
	"parley/internal/httpx/browsertest"
	"parley/internal/httpx/ui"
)

// What draws plots is fetched when one comes into view and not before, draws all
// three kinds with what is left of ECharts, and again when newer data is swapped in.
func TestPlotsDrawWhenSeen(t *testing.T) {
	t.Parallel()
	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Clock: time.Now}
	lines := []ui.Line{{Name: "a", Values: []float64{1, 3, 2}}, {Name: "b", Values: []float64{2, 1, 4}}}
	names := []string{"10:00", "10:01", "10:02"}
	body := templ.Join(ui.Chart("line", "Line"), ui.Chart("area", "Area"), ui.Chart("bar", "Bar"),
		ui.Series("line", ui.Plot{Kind: "line", Names: names, Lines: lines}), ui.Series("area", ui.Plot{Kind: "area", Names: names, Lines: lines}),
		ui.Series("bar", ui.Plot{Kind: "bar", Unit: "calls", Names: names, Lines: lines[:1]}))
	mux := http.NewServeMux()
	mux.Handle("/static/", httpx.Static())
	mux.Handle("/", house.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return ui.Page(ui.Shell{Title: "Plots", Charts: true}).Render(templ.WithChildren(r.Context(), body), w)
	}))
	srv := httptest.NewServer(house.Wrap(mux))
	t.Cleanup(srv.Close)
	p := browsertest.Open(t, srv.URL, "en", 15*time.Minute)
	p.Go("/")
	// ink waits for a plot with something on it, told apart from another by its pixels.
	const ink = `async (id, old) => {
		document.getElementById(id).scrollIntoView();
		for (const end = Date.now() + 90000; Date.now() < end;) {
			const c = document.querySelector("#" + id + " canvas");
			if (c) {
				const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
				let n = 0, sum = 0;
				for (let k = 0; k < d.length; k += 4) if (d[k + 3]) { n++; sum = (sum * 31 + k + d[k]) % 1000003; }
				if (n > 500 && sum !== old) return sum;
			}
			await new Promise(r => setTimeout(r, 50));
		}
		return 0;
	}`
	for _, id := range []string{"line", "area", "bar"} {
		first := browsertest.Eval[int](p, "("+ink+`)("`+id+`", 0)`)
		if first == 0 {
			t.Errorf("%s is not drawn", id)
			continue
		}
		newer := `(() => { const s = document.querySelector("[data-series=` + id + `]"), n = s.cloneNode(); const d = JSON.parse(n.dataset.plot);
			d.lines[0].values = [9, 2, 7]; n.dataset.plot = JSON.stringify(d); s.replaceWith(n); document.dispatchEvent(new Event("htmx:afterSwap")); return 1 })()`
		browsertest.Eval[int](p, newer)
		if again := browsertest.Eval[int](p, "("+ink+`)("`+id+`", `+strconv.Itoa(first)+`)`); again == 0 {
			t.Errorf("%s is not drawn again", id)
		}
	}
}
