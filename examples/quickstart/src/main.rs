//! One config, one plugin, one activation: `cargo run -p quickstart`.
#![forbid(unsafe_code)]

use mlx_core::prelude::*;

/// Settings of the sensor.
#[derive(PluginConfig)]
pub struct ThermometerConfig {
    /// Degrees Celsius that are too warm.
    #[config(default = 30.0, range(-50.0..=100.0))]
    pub limit: f64,
}

/// Watches a temperature.
#[mlx_plugin(type = "monitoring", capabilities = ["metrics", "alerting"])]
pub struct Thermometer {
    limit: f64,
    readings: std::sync::Mutex<Vec<f64>>,
}

#[async_trait]
impl Plugin for Thermometer {
    type Config = ThermometerConfig;

    async fn initialize(config: ThermometerConfig, _: &InitContext) -> Result<Self> {
        Ok(Thermometer { limit: config.limit, readings: Default::default() })
    }
}

#[async_trait]
impl Monitoring for Thermometer {
    async fn record(&self, measurements: Vec<Measurement>) -> Result<()> {
        let mut readings = self.readings.lock().map_err(|_| Error::internal("a reader panicked"))?;
        readings.extend(measurements.iter().map(|measurement| measurement.value));
        Ok(())
    }

    async fn export(&self) -> Result<String> {
        let readings = self.readings.lock().map_err(|_| Error::internal("a reader panicked"))?;
        let warm = readings.iter().filter(|value| **value > self.limit).count();
        Ok(format!("{} readings, {warm} above {} °C", readings.len(), self.limit))
    }
}

fn main() -> Result<()> {
    mlx_core::block_on(async {
        let composition =
            Composition::from_yaml("plugins: [{type: monitoring, name: thermometer, config: {limit: 25}}]")?;
        let work = async |platform: &Platform| {
            let thermometer = platform.get::<dyn Monitoring>("thermometer")?;
            thermometer.record([19.5, 26.0, 31.2].map(|t| Measurement::gauge("celsius", t)).into()).await?;
            println!("{}", thermometer.export().await?);
            Ok(())
        };
        registry().run(composition, work).await
    })
}
