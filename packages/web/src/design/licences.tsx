/** The licence of the viewer (MPL-2.0, section 3.2) asks to say where its source is; `notice.txt` does. */
export const Licences = () => (
  <>
    <a href="/notice.txt" target="_blank" rel="noreferrer">
      Notice
    </a>{' '}
    <a href="/licenses.txt" target="_blank" rel="noreferrer">
      Licences
    </a>
  </>
)
