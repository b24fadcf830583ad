//! Pictures: an SVG document as PNG, drawn on a thread of Node's pool.
use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi::{Env, Task};
use napi_derive::napi;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use std::sync::Arc;
use tslip_graph::{Code, Error, Result};

use crate::convert::{guarded, js_error};

/// More pixels than this on a side are refused: a picture is for looking at.
const LARGEST_SIDE: f32 = 32_768.0;

/// A picture to be drawn.
pub struct Rasterize {
    svg: String,
    zoom: f64,
    fonts: Vec<Vec<u8>>,
    family: String,
    system_fonts: bool,
}

/// Draws an SVG document on white, `zoom` pixels for each of its own, and resolves to PNG bytes. Text is set in the given
/// fonts (TrueType or OpenType files), in `family` where the document names none that is known.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
pub fn rasterize_svg(
    svg: String,
    zoom: f64,
    fonts: Vec<Uint8Array>,
    family: String,
    system_fonts: bool,
) -> AsyncTask<Rasterize> {
    let fonts = fonts.iter().map(|f| f.to_vec()).collect();
    AsyncTask::new(Rasterize { svg, zoom, fonts, family, system_fonts })
}

impl Task for Rasterize {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> napi::Result<Vec<u8>> {
        guarded("drawing the SVG document", || self.draw().map_err(js_error))
    }

    fn resolve(&mut self, _env: Env, png: Vec<u8>) -> napi::Result<Uint8Array> {
        Ok(Uint8Array::new(png))
    }
}

impl Rasterize {
    fn draw(&self) -> Result<Vec<u8>> {
        let mut options = Options { font_family: self.family.clone(), ..Options::default() };
        let fonts = Arc::make_mut(&mut options.fontdb);
        self.fonts.iter().for_each(|data| fonts.load_font_data(data.clone()));
        fonts.set_sans_serif_family(&self.family);
        if self.system_fonts {
            fonts.load_system_fonts();
        }
        let invalid = |cause: String| Error::argument(format!("the SVG document cannot be drawn: {cause}"));
        let tree = Tree::from_str(&self.svg, &options).map_err(|cause| invalid(cause.to_string()))?;
        let size = tree.size();
        let zoom = self.zoom as f32;
        let (width, height) = ((size.width() * zoom).ceil(), (size.height() * zoom).ceil());
        if !(width >= 1.0 && height >= 1.0 && width <= LARGEST_SIDE && height <= LARGEST_SIDE) {
            return Err(invalid(format!(
                "{width} x {height} pixels; give a zoom that keeps sides below {LARGEST_SIDE}"
            )));
        }
        let mut pixels = Pixmap::new(width as u32, height as u32)
            .ok_or_else(|| invalid(format!("{width} x {height} pixels do not fit in memory")))?;
        pixels.fill(Color::WHITE);
        resvg::render(&tree, Transform::from_scale(zoom, zoom), &mut pixels.as_mut());
        pixels.encode_png().map_err(|cause| Error::new(Code::Internal, format!("the picture has no PNG form: {cause}")))
    }
}
